#include "config/document.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "config/errors.h"

// The only include of it in the tree. Without exceptions parse() returns its errors.
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace postern::config {
namespace {

Place PlaceOf(const toml::source_position& position) {
  return {static_cast<int>(position.line), static_cast<int>(position.column)};
}

Value Convert(const toml::node& node, int depth);

void ConvertTable(const toml::table& table, int depth, std::vector<Entry>& entries) {
  for (const auto& [key, node] : table)
    entries.push_back({std::string(key.str()), PlaceOf(key.source().begin), Convert(node, depth + 1)});
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.key_place.line, a.key_place.column) < std::tie(b.key_place.line, b.key_place.column);
  });
}

std::string NameOfOther(const toml::node& node) {
  if (const auto* fraction = node.as_floating_point()) return absl::StrCat("the fraction ", fraction->get());
  return node.is_time() ? "a time" : "a date";
}

Value Convert(const toml::node& node, int depth) {
  Value value;
  value.place = PlaceOf(node.source().begin);
  if (const auto* table = node.as_table()) {
    if (depth < kDepthMax) ConvertTable(*table, depth, value.entries);
  } else if (const auto* array = node.as_array()) {
    value.kind = Kind::kArray;
    if (depth < kDepthMax)
      for (const toml::node& element : *array) value.elements.push_back(Convert(element, depth + 1));
  } else if (const auto* text = node.as_string()) {
    value.kind = Kind::kString;
    value.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    value.kind = Kind::kInteger;
    value.integer = integer->get();
  } else if (const auto* boolean = node.as_boolean()) {
    value.kind = Kind::kBoolean;
    value.boolean = boolean->get();
  } else {
    value.kind = Kind::kOther;
    value.text = NameOfOther(node);
  }
  return value;
}

// The library says "Error while parsing key-value pair: expected value, saw '\n'", with a real line feed.
std::string SyntaxMessage(std::string_view description) {
  absl::string_view message(description.data(), description.size());
  if (absl::ConsumePrefix(&message, "Error while parsing ")) return absl::StrCat("not TOML: in ", Printable(message));
  return absl::StrCat("not TOML: ", Printable(message));
}

}  // namespace

std::variant<Value, SyntaxError> ReadDocument(absl::string_view text) {
  const toml::parse_result result = toml::parse(std::string_view(text.data(), text.size()));
  if (result) return Convert(result.table(), 0);
  return SyntaxError{PlaceOf(result.error().source().begin), SyntaxMessage(result.error().description())};
}

std::string Show(const Value& value) {
  switch (value.kind) {
    case Kind::kTable:
      return "a table";
    case Kind::kArray:
      return "an array";
    case Kind::kString:
      return Quote(value.text);
    case Kind::kInteger:
      return absl::StrCat(value.integer);
    case Kind::kBoolean:
      return value.boolean ? "true" : "false";
    case Kind::kOther:
      break;
  }
  return value.text;
}

}  // namespace postern::config
