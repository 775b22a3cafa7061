#ifndef POSTERN_CHECKPASSWORD_HASH_COMMAND_H_
#define POSTERN_CHECKPASSWORD_HASH_COMMAND_H_

#include "absl/status/status.h"

namespace postern::checkpassword {

// `checkpassword-file --hash`: reads one line from standard input (from a terminal: asks, and does not echo) and prints
// it hashed, as the second field of a passwd-file. InvalidArgument if no client could log in with such a password.
absl::Status HashCommand();

}  // namespace postern::checkpassword

#endif  // POSTERN_CHECKPASSWORD_HASH_COMMAND_H_
