<?php

// One piece of work of 0.1 s, or, with a socket to report to, as long as the
// test says.
$gate = isset($argv[1]) ? stream_socket_client("unix://$argv[1]") : null;
echo "begun\n";
usleep((int) (($gate ? fgets($gate) : 0.1) * 1e6));
echo "done\n";
