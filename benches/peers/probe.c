/* What the inits run in the benchmark: a static program so small that the init
 * dominates what is measured. It writes times of CLOCK_MONOTONIC, in
 * nanoseconds and 8 bytes each, to descriptor 3. */

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct timespec first;

#ifdef __x86_64__
/* The entry point: the first instruction after exec asks for the time, before
 * the C library starts (clock_gettime is 228). rsp and rdx are its arguments. */
__asm__(".globl entry\n"
        "entry:\n"
        "  mov $228, %eax\n"
        "  mov $1, %edi\n"
        "  lea first(%rip), %rsi\n"
        "  syscall\n"
        "  jmp _start\n");
#endif

static void say(struct timespec t)
{
	uint64_t ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	if (write(3, &ns, sizeof ns) != sizeof ns)
		_exit(1);
}

static void say_now(int signal)
{
	struct timespec now;
	(void)signal;
	clock_gettime(CLOCK_MONOTONIC, &now);
	say(now);
}

/* Children of a child that is gone: the init's. They hold back until they are:
 * the pipe ends with their parent, which alone can write into it. */
static void orphan(int count, void (*live)(void))
{
	int parent[2];
	char byte;

	if (fork() != 0)
		return;
	signal(SIGCHLD, SIG_DFL); /* one that is quicker than our exit is the init's too */
	if (pipe(parent) != 0)
		_exit(1);
	for (int i = 0; i < count; i++)
		if (fork() == 0) {
			close(parent[1]);
			if (read(parent[0], &byte, 1) == 0)
				live();
			_exit(0);
		}
	_exit(0);
}

static void sleep_for_ever(void)
{
	for (;;)
		pause();
}

static void end(void)
{
}

int main(int argc, char **argv)
{
	char mode = argc > 1 ? argv[1][0] : 'e';
	int count = argc > 2 ? atoi(argv[2]) : 0;

	if (first.tv_sec == 0)
		clock_gettime(CLOCK_MONOTONIC, &first);
	switch (mode) {
	case 'e': /* say when it began and when it ends */
		say(first);
		say_now(0);
		break;
	case 'w': /* wait to be ended */
		say(first);
		sleep_for_ever();
		break;
	case 'u': /* say when SIGUSR1 came */
		signal(SIGUSR1, say_now);
		say(first);
		sleep_for_ever();
		break;
	case 'o': { /* count live orphans, then at each SIGUSR1 one that ends */
		sigset_t usr1;
		int got;
		signal(SIGCHLD, SIG_IGN); /* the ones in between are nobody's */
		sigemptyset(&usr1);
		sigaddset(&usr1, SIGUSR1);
		sigprocmask(SIG_BLOCK, &usr1, NULL);
		orphan(count, sleep_for_ever);
		say(first);
		for (;;) {
			sigwait(&usr1, &got);
			orphan(1, end);
			say_now(0);
		}
	}
	}
	_exit(0);
}
