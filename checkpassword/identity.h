#ifndef POSTERN_CHECKPASSWORD_IDENTITY_H_
#define POSTERN_CHECKPASSWORD_IDENTITY_H_

#include <sys/types.h>

#include "absl/status/status.h"

namespace postern::checkpassword {

// An error if the program is installed set-user-id or set-group-id: it takes the file of users from its caller, who
// could then name any uid as his.
absl::Status CheckNotSetId();

// As root: becomes `uid` and `gid`, with that one group, and makes sure that there is no way back. Needs CAP_SETUID and
// CAP_SETGID, no more. As anybody else: an error unless the process is that user already.
absl::Status Become(uid_t uid, gid_t gid);

}  // namespace postern::checkpassword

#endif  // POSTERN_CHECKPASSWORD_IDENTITY_H_
