#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "config/config.h"
#include "config/errors.h"

namespace postern::config {
namespace {

constexpr mode_t kOthersBits = S_IRWXG | S_IRWXO;  // 077

// One path of the file, checked step by step; after the first problem the next ones would only repeat it.
class PathCheck {
 public:
  PathCheck(absl::string_view key, const std::string& path, Place place, Errors& errors)
      : subject_(absl::StrCat(key, " ", Quote(path))), path_(path), place_(place), errors_(errors) {}

  // Follows links, as open() and exec() will.
  bool Exists() {
    if (!absl::StartsWith(path_, "/")) return Fail("is not an absolute path");
    return stat(path_.c_str(), &info_) == 0 || Fail(strerror(errno));
  }
  bool IsRegular() { return S_ISREG(info_.st_mode) || Fail("is not a regular file"); }
  bool IsDirectory() { return S_ISDIR(info_.st_mode) || Fail("is not a directory"); }
  // With the effective ids, which are those that open() and exec() go by.
  bool Allows(int mode, absl::string_view what) {
    return faccessat(AT_FDCWD, path_.c_str(), mode, AT_EACCESS) == 0 ||
           Fail(absl::StrCat("cannot be ", what, ": ", strerror(errno)));
  }
  void IsPrivate() {
    if ((info_.st_mode & kOthersBits) != 0)
      Fail(absl::StrFormat("has mode %04o, so others than its owner may use it; give it 0600", info_.st_mode & 07777));
    if (info_.st_uid != 0 && info_.st_uid != geteuid())
      Fail(absl::StrCat("belongs to uid ", info_.st_uid, "; it must be root's or, run by somebody else, that user's"));
  }

 private:
  bool Fail(absl::string_view problem) {
    errors_.Add(place_, absl::StrCat(subject_, ": ", problem));
    return false;
  }

  const std::string subject_;
  const std::string& path_;
  const Place place_;
  Errors& errors_;
  struct stat info_ = {};
};

void CheckProgram(absl::string_view key, const std::vector<std::string>& command, Place place, Errors& errors) {
  if (command.empty()) return errors.Add(place, absl::StrCat(key, " names no program"));
  PathCheck program(key, command[0], place, errors);
  if (program.Exists() && program.IsRegular()) program.Allows(X_OK, "executed");
}

void CheckPair(const CertificatePair& pair, Errors& errors) {
  PathCheck certificate("certificate", pair.certificate, pair.certificate_place, errors);
  if (certificate.Exists() && certificate.IsRegular()) certificate.Allows(R_OK, "read");
  PathCheck key("key", pair.key, pair.key_place, errors);
  if (key.Exists() && key.IsRegular()) {
    key.IsPrivate();
    key.Allows(R_OK, "read");
  }
}

void CheckService(const Service& service, Errors& errors) {
  for (const CertificatePair& pair : service.certificates) CheckPair(pair, errors);
  if (service.login == Login::kCheckpassword)
    CheckProgram("checkpassword", service.checkpassword, service.checkpassword_place, errors);
  if (service.connect.empty()) CheckProgram("backend", service.backend, service.backend_place, errors);
}

// What is in them, the supervisor finds out: it knows the names.
void CheckDirectory(absl::string_view key, const std::string& path, Place place, Errors& errors) {
  if (path.empty()) return;
  PathCheck directory(key, path, place, errors);
  if (directory.Exists() && directory.IsDirectory()) directory.Allows(X_OK, "searched");
}

}  // namespace

std::vector<std::string> CheckFiles(const Config& config) {
  Errors errors;
  CheckDirectory("directory", config.roles.directory, config.roles.directory_place, errors);
  CheckDirectory("policies", config.roles.policies, config.roles.policies_place, errors);
  for (const Service& service : config.services) CheckService(service, errors);
  return errors.Lines(config.path);
}

}  // namespace postern::config
