/* Loaded before libgomp: at exit, how many regions had more than one thread. */
#include <dlfcn.h>
#include <stdio.h>

static int teams;

void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags)
{
    static void (*next)(void (*)(void *), void *, unsigned, unsigned);
    if (!next)
        next = (void (*)(void (*)(void *), void *, unsigned, unsigned))dlsym(dlopen("libgomp.so.1", RTLD_NOW),
                                                                             "GOMP_parallel");
    teams += threads > 1;
    next(body, data, threads, flags);
}

__attribute__((destructor)) static void tell(void) { fprintf(stderr, "teams %d\n", teams); }
