# Saves its work for a second once it is asked, and says each row.
import signal, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
print('ready', flush=True)
while not asked:
    time.sleep(0.05)
for n in range(5):
    print('row', n, flush=True)
    time.sleep(0.2)
print('saved', flush=True)
