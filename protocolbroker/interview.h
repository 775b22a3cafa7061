#ifndef POSTERN_PROTOCOLBROKER_INTERVIEW_H_
#define POSTERN_PROTOCOLBROKER_INTERVIEW_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace postern::protocolbroker {

// A backend is asked what it can do: it greets, gets question(), and answers in lines. ask.h carries it. Pure.
class Interview {
 public:
  enum class Next { kMore, kDone, kRefused };

  virtual ~Interview() = default;
  // How many octets a line of its may have, its end included.
  virtual size_t line_octets_max() const = 0;
  // Whole lines with CRLF.
  virtual absl::string_view question() const = 0;
  virtual absl::string_view goodbye() const = 0;
  // The first line, without its end; kMore: question() is to be said.
  virtual Next OnGreeting(absl::string_view line) = 0;
  // A line behind the question.
  virtual Next OnLine(absl::string_view line) = 0;
  // What it has told, unchecked: of at most kLinesMax lines.
  const std::vector<std::string>& told() const { return told_; }

 protected:
  static constexpr size_t kLinesMax = 100;
  // kRefused for the line that is one too many.
  Next Count() { return ++lines_ > kLinesMax ? Next::kRefused : Next::kMore; }

  std::vector<std::string> told_;

 private:
  size_t lines_ = 0;
};

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_INTERVIEW_H_
