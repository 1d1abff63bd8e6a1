#define FM_TARGET fm_target_v4
#include "bodies.h"
