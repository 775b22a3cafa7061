#include "base/log.h"

#include <sys/socket.h>
#include <unistd.h>

#include <ctime>
#include <new>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

// No absl::StrFormat here: without memory it ends the process (its sink writes what is left in a destructor), and the
// launcher, which outlives a lack of memory, has to be able to tell of it.
namespace postern::base {
namespace {

// The process's log, set once at start: the one piece of state that is not passed as a parameter, as the price of
// threading it through every function would be paid by every reader.
int log_socket = -1;  // owned; no UniqueFd, whose destructor would run before the last event
uint64_t log_session = 0;
unsigned dropped = 0;

bool IsBare(char c) {
  return absl::ascii_isalnum(c) || absl::string_view("._:/@+,-").find(c) != absl::string_view::npos;
}

std::string Quote(absl::string_view value, size_t octets_max) {
  const bool cut = value.size() > octets_max;
  value = value.substr(0, octets_max);
  bool bare = !value.empty() && !cut;
  for (char c : value) bare = bare && IsBare(c);
  if (bare) return std::string(value);
  std::string quoted = "\"";
  for (char c : value) {
    if (absl::ascii_isprint(c) && c != '"' && c != '\\')
      quoted += c;
    else
      absl::StrAppend(&quoted, "\\x", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
  }
  absl::StrAppend(&quoted, "\"", cut ? "~" : "");
  return quoted;
}

std::string Stamp() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const uint64_t nanoseconds = static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
  return absl::StrCat(absl::Hex(nanoseconds, absl::kZeroPad16), " ");
}

}  // namespace

uint64_t ParseLogStamp(absl::string_view* record) {
  uint64_t stamp;
  if (record->size() < kLogStampOctets || (*record)[kLogStampOctets - 1] != ' ') return 0;
  const absl::string_view digits = record->substr(0, kLogStampOctets - 1);
  for (char c : digits)
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return 0;
  if (!absl::SimpleHexAtoi(digits, &stamp)) return 0;
  record->remove_prefix(kLogStampOctets);
  return stamp;
}

void SetLogSocket(UniqueFd socket) {
  if (log_socket >= 0) close(log_socket);
  log_socket = socket.Release();
}
void SetLogSession(uint64_t session) { log_session = session; }
std::string QuoteLogValue(absl::string_view value) { return Quote(value, kLogValueOctetsMax); }

Event::Event(absl::string_view name) : Event(name, log_session) {}

Event::Event(absl::string_view name, uint64_t session) {
  if (session != 0) absl::StrAppend(&record_, "session=", absl::Hex(session, absl::kZeroPad8), " ");
  absl::StrAppend(&record_, "ev=", name);
}

Event& Event::Add(absl::string_view key, absl::string_view value) {
  absl::StrAppend(&record_, " ", key, "=", QuoteLogValue(value));
  return *this;
}

Event& Event::AddNumber(absl::string_view key, const std::string& number) {
  absl::StrAppend(&record_, " ", key, "=", number);
  return *this;
}

Event& Event::AddText(absl::string_view key, absl::string_view text) {
  absl::StrAppend(&record_, " ", key, "=", Quote(text, kLogRecordOctetsMax / 2));
  return *this;
}

Event::~Event() {
  try {
    Send();
  } catch (const std::bad_alloc&) {  // one that left a destructor would be the end of the process
    ++dropped;
  }
}

void Event::Send() {
  if (dropped != 0) Add("dropped", dropped);
  if (record_.size() > kLogRecordOctetsMax - kLogStampOctets) record_.resize(kLogRecordOctetsMax - kLogStampOctets);
  ssize_t sent;
  if (log_socket >= 0) {
    record_.insert(0, Stamp());
    // Once a record was lost, none is waited for until one gets through.
    sent = send(log_socket, record_.data(), record_.size(), MSG_NOSIGNAL | (dropped != 0 ? MSG_DONTWAIT : 0));
  } else {
    record_ += '\n';
    sent = write(STDERR_FILENO, record_.data(), record_.size());
  }
  dropped = sent < 0 ? dropped + 1 : 0;
}

}  // namespace postern::base
