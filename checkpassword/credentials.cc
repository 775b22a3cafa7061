#include "checkpassword/credentials.h"

#include <string.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace postern::checkpassword {

absl::Status Credentials::Read(base::UniqueFd fd) {
  const base::UniqueFd owned = std::move(fd);
  size_t octets = 0;
  while (octets < sizeof octets_) {
    const ssize_t got = read(owned.get(), octets_ + octets, sizeof octets_ - octets);
    if (got == 0) return Split(absl::string_view(octets_, octets));
    if (got > 0) {
      octets += static_cast<size_t>(got);
    } else if (errno == EBADF) {
      return absl::InvalidArgumentError("descriptor 3 is not open for reading");
    } else if (errno != EINTR) {
      return absl::UnavailableError(absl::StrCat("descriptor 3: ", strerror(errno)));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("more than ", kCredentialOctetsMax, " octets on descriptor 3"));
}

absl::Status Credentials::Split(absl::string_view all) {
  size_t ends[3];  // of login, password and timestamp
  size_t from = 0;
  for (size_t& end : ends) {
    end = all.find('\0', from);
    if (end == all.npos)
      return absl::InvalidArgumentError("descriptor 3 does not hold login, password and timestamp, each with a NUL");
    from = end + 1;
  }
  login_ = all.substr(0, ends[0]);
  password_ = octets_ + ends[0] + 1;
  return absl::OkStatus();
}

void Credentials::Wipe() {
  explicit_bzero(octets_, sizeof octets_);
  login_ = {};
  password_ = "";
}

}  // namespace postern::checkpassword
