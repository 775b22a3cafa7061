#ifndef POSTERN_CONFIG_SERVICE_H_
#define POSTERN_CONFIG_SERVICE_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "config/config.h"
#include "config/document.h"
#include "config/errors.h"
#include "config/reader.h"

namespace postern::config {

// `path` as it is from `directory`, which is absolute; an absolute one stays.
std::string Resolve(absl::string_view directory, absl::string_view path);

// One [service.NAME]; what is wrong goes to `errors`, and the result only counts if nothing is. `homes` as for
// Reader::Finish.
Service ReadService(const Entry& entry, absl::string_view directory, absl::Span<const Home> homes, Errors& errors);

}  // namespace postern::config

#endif  // POSTERN_CONFIG_SERVICE_H_
