#ifndef POSTERN_CHECKPASSWORD_HASH_H_
#define POSTERN_CHECKPASSWORD_HASH_H_

#include <string>

#include "absl/status/statusor.h"

// All that is asked of libcrypt.
namespace postern::checkpassword {

// The hash of `password` with the method, cost and salt of `setting` (a whole hash will do); empty if libcrypt cannot.
// Leaves nothing of the password behind in memory of ours.
std::string Hash(const char* password, const std::string& setting);

// A yescrypt hash of `password` with a fresh salt and libcrypt's default cost.
absl::StatusOr<std::string> NewHash(const char* password);

}  // namespace postern::checkpassword

#endif  // POSTERN_CHECKPASSWORD_HASH_H_
