#ifndef POSTERN_BASE_STATUS_MACROS_H_
#define POSTERN_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Debian's Abseil has no status macros yet. Both return from the function with the error; `lhs` may declare.
#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expression) \
  POSTERN_ASSIGN_OR_RETURN_(POSTERN_CONCAT_(statusor_, __LINE__), lhs, expression)
#define POSTERN_ASSIGN_OR_RETURN_(statusor, lhs, expression) \
  auto statusor = (expression);                              \
  if (!statusor.ok()) return std::move(statusor).status();   \
  lhs = *std::move(statusor)
#define POSTERN_CONCAT_(a, b) POSTERN_CONCAT_INNER_(a, b)
#define POSTERN_CONCAT_INNER_(a, b) a##b

#endif  // POSTERN_BASE_STATUS_MACROS_H_
