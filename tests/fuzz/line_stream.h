#ifndef POSTERN_TESTS_FUZZ_LINE_STREAM_H_
#define POSTERN_TESTS_FUZZ_LINE_STREAM_H_

// What a client has sent, taken as the line reader takes it off a socket, for the fuzz targets of the machines.

#include <cstddef>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "protocolbroker/ending.h"

namespace postern::fuzz {

inline void Check(bool condition) {
  if (!condition) abort();
}

struct LineStream {
  absl::string_view octets;

  // As ReadLine() would. False: the client goes before the end of the line.
  bool TakeLine(size_t octets_max, absl::string_view* line, protocolbroker::Ending* ending) {
    using protocolbroker::Ending;
    const size_t lf = octets.substr(0, octets_max).find('\n');
    const bool too_long = lf == absl::string_view::npos;
    if (too_long && octets.size() < octets_max) return false;
    *line = octets.substr(0, too_long ? octets_max : lf);
    octets.remove_prefix(line->size() + (too_long ? 0 : 1));
    *ending = too_long ? Ending::kTooLong : absl::EndsWith(*line, "\r") ? Ending::kCrLf : Ending::kBareLf;
    if (*ending == Ending::kCrLf) line->remove_suffix(1);
    return true;
  }

  // As ReadOctets() would.
  bool TakeOctets(size_t count, absl::string_view* taken) {
    if (octets.size() < count) return false;
    *taken = octets.substr(0, count);
    octets.remove_prefix(count);
    return true;
  }
};

}  // namespace postern::fuzz

#endif  // POSTERN_TESTS_FUZZ_LINE_STREAM_H_
