#ifndef POSTERN_CHECKPASSWORD_PROTECTED_FILE_H_
#define POSTERN_CHECKPASSWORD_PROTECTED_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace postern::checkpassword {

inline constexpr size_t kProtectedFileOctetsMax = 16 << 20;  // a hundred thousand users; it is read for each attempt

// The content of a file that nobody but its owner can have written and that is closed to others: a regular file, no
// symbolic link, owned by root or by this process's user, mode 0640 at most. An error names the file and says why.
absl::StatusOr<std::string> ReadProtectedFile(const char* path);

}  // namespace postern::checkpassword

#endif  // POSTERN_CHECKPASSWORD_PROTECTED_FILE_H_
