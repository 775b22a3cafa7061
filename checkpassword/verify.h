#ifndef POSTERN_CHECKPASSWORD_VERIFY_H_
#define POSTERN_CHECKPASSWORD_VERIFY_H_

#include <functional>
#include <string>

#include "checkpassword/passwd_file.h"

namespace postern::checkpassword {

enum class Verdict {
  kAccepted,
  kRejected,
  kFailed,  // the user's hash, or none at all, could be computed
};

// crypt(3): the hash of `password` with the method, cost and salt of `setting`; empty if that cannot be done.
using CryptFunction = std::function<std::string(const char* password, const std::string& setting)>;

// Computes every one of lookup.hashes, whatever was found, and then answers; so the calls are the same in number and
// kind for every login. Not for Found::kFaulty, which no password mends.
Verdict Verify(const Lookup& lookup, const char* password, const CryptFunction& crypt);

}  // namespace postern::checkpassword

#endif  // POSTERN_CHECKPASSWORD_VERIFY_H_
