#include "checkpassword/hash.h"

#include <crypt.h>
#include <string.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace postern::checkpassword {

std::string Hash(const char* password, const std::string& setting) {
  static crypt_data data;  // 32 KiB, too much for a stack that is to stay small
  // crypt_r() fails with a null pointer or, as old programs expect it, with a string that is no hash: "*0" or "*1".
  const char* const result = crypt_r(password, setting.c_str(), &data);
  const std::string hash = result == nullptr || result[0] == '*' ? "" : result;
  explicit_bzero(&data, sizeof data);
  return hash;
}

absl::StatusOr<std::string> NewHash(const char* password) {
  char setting[CRYPT_GENSALT_OUTPUT_SIZE];
  if (crypt_gensalt_rn("$y$", 0, nullptr, 0, setting, sizeof setting) == nullptr)
    return absl::UnavailableError(absl::StrCat("no salt: ", strerror(errno)));
  std::string hash = Hash(password, setting);
  if (hash.empty()) return absl::UnavailableError(absl::StrCat("libcrypt cannot hash: ", strerror(errno)));
  return hash;
}

}  // namespace postern::checkpassword
