// Saves its work for a second once it is asked, and says each row. A second signal
// finds no handler, and ends it.
process.once('SIGTERM', () => {
  let n = 0;
  setInterval(() => {
    if (n === 5) { console.log('saved'); process.exit(0); }
    console.log('row', n++);
  }, 200);
});
setInterval(() => {}, 1000);
console.log('ready');
