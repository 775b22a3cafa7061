#ifndef POSTERN_CHECKPASSWORD_CREDENTIALS_H_
#define POSTERN_CHECKPASSWORD_CREDENTIALS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace postern::checkpassword {

inline constexpr size_t kCredentialOctetsMax = 512;  // the checkpassword interface's

// What came on descriptor 3: login NUL password NUL timestamp NUL, and perhaps more. The octets are in one place, and
// are wiped when the object goes, or before.
class Credentials {
 public:
  Credentials() = default;
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;
  ~Credentials() { Wipe(); }

  // Reads to end of file and closes `fd`. InvalidArgument if the caller does not keep to the interface.
  absl::Status Read(base::UniqueFd fd);
  // Valid until Wipe(). Neither has a NUL in it; the password is followed by one.
  absl::string_view login() const { return login_; }
  const char* password() const { return password_; }

  void Wipe();

 private:
  absl::Status Split(absl::string_view all);

  char octets_[kCredentialOctetsMax + 1] = {};  // one more, to see that there is more
  absl::string_view login_;
  const char* password_ = "";
};

}  // namespace postern::checkpassword

#endif  // POSTERN_CHECKPASSWORD_CREDENTIALS_H_
