<?php
// Saves its work for a second once it is asked, and says each row.
pcntl_async_signals(true);
$asked = false;
pcntl_signal(SIGTERM, function () use (&$asked) { $asked = true; });
echo "ready\n";
while (!$asked) usleep(50000);
for ($n = 0; $n < 5; $n++) {
    echo "row $n\n";
    for ($until = microtime(true) + 0.2; microtime(true) < $until;) usleep(50000);
}
echo "saved\n";
