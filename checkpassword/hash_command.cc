#include "checkpassword/hash_command.h"

#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "checkpassword/credentials.h"
#include "checkpassword/hash.h"

namespace postern::checkpassword {
namespace {

// What is left on descriptor 3 beside three NULs and a login of one octet.
constexpr size_t kPasswordOctetsMax = kCredentialOctetsMax - 4;

// Writes all of `text`; false on an error.
bool WriteAll(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = write(fd, text.data(), text.size());
    if (wrote < 0 && errno != EINTR) return false;
    if (wrote > 0) text.remove_prefix(static_cast<size_t>(wrote));
  }
  return true;
}

// Nothing that is typed shows while this lives, if standard input is a terminal. Nor does a key send a signal: that
// would leave the terminal mute. ^C then arrives as a control character, and those are refused.
class QuietTerminal {
 public:
  QuietTerminal() : terminal_(isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!terminal_) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ISIG);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    WriteAll(STDERR_FILENO, "Password: ");
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;
  ~QuietTerminal() {
    if (!terminal_) return;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    WriteAll(STDERR_FILENO, "\n");
  }

 private:
  termios before_ = {};
  const bool terminal_;
};

// Fills `line` (`capacity` octets, with room for a NUL) up to LF or end of file. Octet by octet: nothing behind the
// line is taken.
absl::Status ReadLine(char* line, size_t capacity) {
  for (size_t octets = 0; octets < capacity; ++octets) {
    ssize_t got;
    do {
      got = read(STDIN_FILENO, line + octets, 1);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return absl::UnavailableError(absl::StrCat("standard input: ", strerror(errno)));
    if (got == 1 && line[octets] == '\0') return absl::InvalidArgumentError("the password has a NUL in it");
    if (got == 1 && line[octets] != '\n') continue;
    line[octets] = '\0';
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("the password is longer than ", kPasswordOctetsMax, " octets"));
}

absl::Status CheckPassword(const char* password) {
  if (password[0] == '\0') return absl::InvalidArgumentError("the password is empty");
  if (std::any_of(password, password + strlen(password), [](unsigned char c) { return absl::ascii_iscntrl(c); }))
    return absl::InvalidArgumentError("the password has a control character in it");
  return absl::OkStatus();
}

absl::Status ReadPassword(char* password, size_t capacity) {
  const QuietTerminal quiet;
  RETURN_IF_ERROR(ReadLine(password, capacity));
  return CheckPassword(password);
}

}  // namespace

absl::Status HashCommand() {
  char password[kPasswordOctetsMax + 1] = {};
  const absl::Status usable = ReadPassword(password, sizeof password);
  absl::StatusOr<std::string> hash = usable.ok() ? NewHash(password) : usable;
  explicit_bzero(password, sizeof password);
  if (!hash.ok()) return hash.status();
  if (!WriteAll(STDOUT_FILENO, absl::StrCat("{CRYPT}", *hash, "\n")))
    return absl::UnavailableError(absl::StrCat("standard output: ", strerror(errno)));
  return absl::OkStatus();
}

}  // namespace postern::checkpassword
