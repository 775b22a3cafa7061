#ifndef POSTERN_CONFIG_READER_H_
#define POSTERN_CONFIG_READER_H_

#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "config/document.h"
#include "config/errors.h"
#include "config/place.h"

namespace postern::config {

// A key and the section where it has a meaning, for hints.
struct Home {
  absl::string_view key, section;
};

// Reads one table by its keys. What is wrong goes to `errors`; what nobody asked for is wrong as well, see Finish. A
// getter sets `value` (and `place`) only if the key is there and right, so a default stays; it returns false only if
// the key is there and wrong.
class Reader {
 public:
  struct Range {
    int64_t least, most;
  };
  struct Text {
    std::string text;
    Place place;
  };

  // `section` is the name in brackets, "" for the file itself. `table` and `errors` must outlive the reader.
  Reader(const Value& table, std::string section, Errors& errors)
      : table_(table), section_(std::move(section)), errors_(errors) {}

  bool Has(absl::string_view key) { return Find(key) != nullptr; }

  template <std::integral T>
  bool Integer(absl::string_view key, Range range, T* value, Place* place = nullptr) {
    int64_t number = static_cast<int64_t>(*value);
    const bool good = Number(key, range, &number, place);
    *value = static_cast<T>(number);
    return good;
  }
  // In units such as the seconds of login_seconds.
  bool Duration(absl::string_view key, Range range, absl::Duration unit, absl::Duration* value, Place* place = nullptr);
  bool Boolean(absl::string_view key, bool* value);
  // Not empty and without NUL, as a path must be.
  bool String(absl::string_view key, std::string* value, Place* place = nullptr);
  bool Choice(absl::string_view key, absl::Span<const absl::string_view> choices, std::string* value);
  // An array of strings without NUL, which may be empty.
  bool Strings(absl::string_view key, std::vector<Text>* value, Place* place = nullptr);
  // One such string, not empty, or an array of them; `place` is that of either.
  bool StringOrStrings(absl::string_view key, std::vector<Text>* value, Place* place);
  // A table or section; nullptr if it is missing or (an error) something else. `form` is how to write it.
  const Value* Table(absl::string_view key, absl::string_view form);

  // Reports the keys that no getter asked for. `homes` are those of all sections.
  void Finish(absl::Span<const Home> homes);

 private:
  const Value* Find(absl::string_view key);
  bool Number(absl::string_view key, Range range, int64_t* value, Place* place);
  // Reports that `key` must be something else than `value`; false.
  bool Mismatch(absl::string_view key, absl::string_view wanted, const Value& value);
  std::string Hint(const Entry& entry, absl::Span<const Home> homes) const;
  void ReportUnknown(const Entry& entry, absl::Span<const Home> homes);

  const Value& table_;
  const std::string section_;
  Errors& errors_;
  std::vector<absl::string_view> known_;  // the keys asked for, which are literals
};

}  // namespace postern::config

#endif  // POSTERN_CONFIG_READER_H_
