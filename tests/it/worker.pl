# What every perl worker of the tests begins with (see harness.rs).
#
# Signals are blocked from the first line on and are taken in `rest` alone. A
# signal that comes between two statements waits there, so a worker that has
# said it is ready cannot miss one, nor take it too late to act on it.
use strict;
use POSIX ();

my $every = POSIX::SigSet->new;
$every->fillset;
POSIX::sigprocmask(POSIX::SIG_SETMASK(), $every);

# One line, one write: the lines of two workers never mix.
sub line { syswrite STDOUT, "@_\n" }

# Say "NAME SIGNAL" whenever one of these signals arrives.
sub hears {
    my ($name, @signals) = @_;
    for my $signal (@signals) { $SIG{$signal} = sub { line "$name $signal" } }
}

# End with this code at this signal, after this many seconds of work.
sub ends {
    my ($name, $signal, $code, $work) = @_;
    $SIG{$signal} = sub {
        line "$name $signal";
        select undef, undef, undef, $work if $work;
        line "$name done";
        POSIX::_exit($code);
    };
}

# Take signals for ever.
sub rest { POSIX::sigsuspend(POSIX::SigSet->new) while 1 }

# Wait for the test to say go on, without taking a signal. Then: was there one?
sub told { sysread STDIN, my $word, 3 }

sub pending {
    my $set = POSIX::SigSet->new;
    POSIX::sigpending($set);
    return $set->ismember($_[0]);
}

# Run the block in a child; the pid is returned.
sub child(&) {
    my ($block) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    $block->();
    POSIX::_exit(0);
}

# Run the block in a process whose parent is gone before `orphan` returns.
sub orphan(&) {
    my ($block) = @_;
    waitpid child { &child($block) }, 0;
}
