#!/bin/sh
# Started by this file's first line: the kernel calls the process entrypoint.sh.
echo before
sidekiq -r./work.rb
echo after
