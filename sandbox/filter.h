#ifndef POSTERN_SANDBOX_FILTER_H_
#define POSTERN_SANDBOX_FILTER_H_

#include <linux/filter.h>

#include <vector>

#include "absl/status/statusor.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

// The program for seccomp(2). What kills kills the whole process, and so does a call in another architecture's ABI (int
// 0x80 and x32 on x86-64). Opens nothing. InvalidArgument if it is longer than the kernel takes.
absl::StatusOr<std::vector<sock_filter>> CompileFilter(const Stage& stage);

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_FILTER_H_
