#define FM_TARGET fm_target_neon
#include "bodies.h"
