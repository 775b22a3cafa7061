#ifndef POSTERN_LOGGER_LINE_H_
#define POSTERN_LOGGER_LINE_H_

#include <sys/types.h>

#include <string>

#include "absl/strings/string_view.h"

namespace postern::logger {

// The line for one record. `role` and `pid` come from the kernel (which socket, whose credentials), never from the
// record. A role's record is already in "key=value" form and is only made harmless: what is not printable ASCII becomes
// \xNN, so that a record stays one line and cannot drive a terminal. What a backend wrote on its standard error is no
// such form and is quoted whole, its last line end removed: ev=stderr text="...". Ends in "\n".
std::string Line(absl::string_view role, pid_t pid, absl::string_view record);

// The name of the source that is not a role but the backends' standard error.
inline constexpr absl::string_view kBackendSource = "backend";

}  // namespace postern::logger

#endif  // POSTERN_LOGGER_LINE_H_
