/* The threads of teams and their CPUs: who they are, that none waits for the CPU of another. */
#ifndef FM_CREW_H
#define FM_CREW_H

/* Before the caller opens a region of so many threads, the last of which ended so long ago: whether to open it. */
int fm_crew_ready(int threads, double pause);
/* The caller opens a region: where it is, what every thread of the region tells fm_crew_join, first thing inside. */
int fm_crew_place(void);
enum { FM_CREW_PLACES = 0x3fffffff }; /* bits that it may have */
void fm_crew_join(int place);
/* A worker leaves the region; the caller waits until all have. */
void fm_crew_leave(void);
void fm_crew_await(void);
/* A thread has waited for the others for some time. If it is the caller, workers that have no CPU get its own, while it
 * sleeps for a moment: whether it has. */
int fm_crew_help(void);
/* In a forked child, where there is no other thread. */
void fm_crew_forget(void);

#endif
