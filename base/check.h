#ifndef POSTERN_BASE_CHECK_H_
#define POSTERN_BASE_CHECK_H_

#include <cstdlib>

#include "base/log.h"

// For our own bugs only, never for what a peer sent: says where, and ends the process at once.
#define POSTERN_CHECK(condition)                                                                                       \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      ::postern::base::Event("check_failed").Add("condition", #condition).Add("file", __FILE__).Add("line", __LINE__); \
      std::abort();                                                                                                    \
    }                                                                                                                  \
  } while (false)

#endif  // POSTERN_BASE_CHECK_H_
