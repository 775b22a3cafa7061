#ifndef POSTERN_CONFIG_PLACE_H_
#define POSTERN_CONFIG_PLACE_H_

namespace postern::config {

// Where in the file a value stands, both from 1 (a column is a character, not an octet); 0 = it is a default.
struct Place {
  int line = 0;
  int column = 0;
};

}  // namespace postern::config

#endif  // POSTERN_CONFIG_PLACE_H_
