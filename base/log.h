#ifndef POSTERN_BASE_LOG_H_
#define POSTERN_BASE_LOG_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace postern::base {

inline constexpr size_t kLogRecordOctetsMax = 1024;  // a longer record is cut
inline constexpr size_t kLogStampOctets = 17;        // what a record begins with: when, see ParseLogStamp()
inline constexpr size_t kLogValueOctetsMax = 64;     // of a value before quoting; a longer one is cut and ends in ~

// Where events go from now on: the SOCK_SEQPACKET socket to the logger, which stays open until the process ends, as the
// last event may be main()'s. Until the first call, and after one with an invalid descriptor, they are lines on
// standard error.
void SetLogSocket(UniqueFd socket);
// Every event after this names the session; 0 (the default) is none. A worker serves one session and sets it once.
void SetLogSession(uint64_t session);

// `value` as the log shows it: bare if it is made of letters, digits and . _ : / @ + , - only, else in double quotes
// with everything but printable ASCII, the quote and the backslash as \xNN.
std::string QuoteLogValue(absl::string_view value);

// The stamp at the beginning of a record, CLOCK_MONOTONIC in nanoseconds, by which the logger puts the records of all
// roles in order; taken off `record`. 0 if there is none.
uint64_t ParseLogStamp(absl::string_view* record);

// One event, one record: written when the object goes, e.g. Event("tls_started").Add("version", "TLSv1.3").
// The destructor blocks for at most the socket's SO_SNDTIMEO (100 ms, set by the supervisor) and then drops the
// record, as it does without memory; the next record of the process says how many were dropped.
class Event {
 public:
  explicit Event(absl::string_view name);
  // The event of a session other than the one of SetLogSession.
  Event(absl::string_view name, uint64_t session);
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();

  Event& Add(absl::string_view key, absl::string_view value);
  template <std::integral T>
  Event& Add(absl::string_view key, T value) {
    return AddNumber(key, std::to_string(value));
  }
  // For our own sentences (an error's text, say), which may be longer than a value from outside.
  Event& AddText(absl::string_view key, absl::string_view text);

 private:
  Event& AddNumber(absl::string_view key, const std::string& number);
  void Send();
  std::string record_;
};

}  // namespace postern::base

#endif  // POSTERN_BASE_LOG_H_
