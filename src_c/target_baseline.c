#define FM_TARGET fm_target_baseline
#include "bodies.h"
