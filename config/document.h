#ifndef POSTERN_CONFIG_DOCUMENT_H_
#define POSTERN_CONFIG_DOCUMENT_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "config/place.h"

namespace postern::config {

enum class Kind { kTable, kArray, kString, kInteger, kBoolean, kOther };
struct Entry;

// A TOML value, as much of it as postern.toml can use. The library stays behind this: its header takes seconds to
// compile, and its tables forget the order of the file.
struct Value {
  Kind kind = Kind::kTable;
  Place place;                  // of a table: its header
  std::string text;             // kString: the string; kOther (fraction, date or time): what to call it
  int64_t integer = 0;          // kInteger
  bool boolean = false;         // kBoolean
  std::vector<Value> elements;  // kArray
  std::vector<Entry> entries;   // kTable, in the order of the file; empty below kDepthMax
};

struct Entry {
  std::string key;
  Place key_place;
  Value value;
};

// service.NAME.environment.NAME is four deep; what lies below cannot be ours and only needs to be seen to exist.
inline constexpr int kDepthMax = 6;

struct SyntaxError {
  Place place;
  std::string message;  // printable
};

// The whole text as a table, or the first error; the parser cannot go on behind one. Keys and values that are nested so
// deep that the parser might exhaust its stack are such an error, too.
std::variant<Value, SyntaxError> ReadDocument(absl::string_view text);

// `value` as a message shows it: "many" in quotes, 17, true, an array, ...
std::string Show(const Value& value);

}  // namespace postern::config

#endif  // POSTERN_CONFIG_DOCUMENT_H_
