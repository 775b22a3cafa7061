#ifndef POSTERN_CONFIG_ERRORS_H_
#define POSTERN_CONFIG_ERRORS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "config/place.h"

namespace postern::config {

// `text` as a message shows it: in double quotes, everything but printable ASCII escaped (it may reach a terminal), and
// cut.
std::string Quote(absl::string_view text);
// The same without quotes and uncut, for a sentence that quotes by itself.
std::string Printable(absl::string_view text);

// "FILE:LINE:COLUMN", or "FILE" for the place of a default.
std::string PlaceText(absl::string_view file, Place place);

// What is wrong with a file: collected, so that one run tells all of it.
class Errors {
 public:
  // `message` is printable already.
  void Add(Place place, std::string message) { errors_.emplace_back(place, std::move(message)); }
  bool empty() const { return errors_.empty(); }

  // "FILE:LINE:COLUMN: message" each, in the order of the file.
  std::vector<std::string> Lines(absl::string_view file) const;

 private:
  std::vector<std::pair<Place, std::string>> errors_;
};

}  // namespace postern::config

#endif  // POSTERN_CONFIG_ERRORS_H_
