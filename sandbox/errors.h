#ifndef POSTERN_SANDBOX_ERRORS_H_
#define POSTERN_SANDBOX_ERRORS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace postern::sandbox {

struct Line {
  int number = 0;
  absl::string_view text;  // without comment; what the parser passes around are parts of it
};

// Collects what is wrong with one policy file, to be said in one go.
class Errors {
 public:
  static constexpr size_t kErrorsMax = 100;  // a file that is no policy at all should not print a page per line

  explicit Errors(absl::string_view name) : name_(name) {}

  // `at` is a part of `line.text` and gives the column.
  void Add(const Line& line, absl::string_view at, absl::string_view what);
  // OK, or InvalidArgument with all errors, one line each, in the order of the lines.
  absl::Status ToStatus() const;

 private:
  struct Entry {
    int line;
    size_t column;
    std::string what;
  };
  std::string name_;
  std::vector<Entry> entries_;
  bool more_ = false;
};

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_ERRORS_H_
