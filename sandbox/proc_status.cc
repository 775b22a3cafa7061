#include "sandbox/proc_status.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "sandbox/refused.h"

namespace postern::sandbox {
namespace {

constexpr size_t kStatusOctetsMax = 16384;  // some 1500 in practice; Groups may be long

}  // namespace

absl::StatusOr<ProcStatus> ProcStatus::Open() {
  ProcStatus status;
  status.fd_.Reset(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  if (!status.fd_.valid()) return Refused(errno, "/proc/self/status");
  RETURN_IF_ERROR(status.Refresh());
  return status;
}

absl::Status ProcStatus::Refresh() {
  std::string text(kStatusOctetsMax, '\0');
  const ssize_t got = pread(fd_.get(), &text[0], text.size(), 0);
  if (got <= 0) return Refused(got < 0 ? errno : EIO, "/proc/self/status");
  text.resize(static_cast<size_t>(got));
  text_ = std::move(text);
  return absl::OkStatus();
}

std::vector<std::string> ProcStatus::Field(absl::string_view field) const {
  for (absl::string_view line : absl::StrSplit(text_, '\n')) {
    if (!absl::ConsumePrefix(&line, field) || !absl::ConsumePrefix(&line, ":")) continue;
    return absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  }
  return {};
}

bool ProcStatus::Is(absl::string_view field, const std::vector<uint64_t>& numbers, int base) const {
  const std::vector<std::string> words = Field(field);
  if (words.size() != numbers.size()) return false;
  for (size_t i = 0; i < words.size(); ++i) {
    uint64_t number;
    if (!(base == 16 ? absl::SimpleHexAtoi(words[i], &number) : absl::SimpleAtoi(words[i], &number))) return false;
    if (number != numbers[i]) return false;
  }
  return true;
}

}  // namespace postern::sandbox
