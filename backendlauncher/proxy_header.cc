#include "backendlauncher/proxy_header.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "ipc/address.h"

namespace postern::backendlauncher {
namespace {

// proxy-protocol.txt, section 2.2.
constexpr char kSignature[] = {'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
constexpr char kVersion2Proxy = 0x21, kVersion2Local = 0x20;
constexpr char kVersion1Unknown[] = "PROXY UNKNOWN\r\n";
constexpr char kUnspecified = 0x00, kTcpOverIpv4 = 0x11, kTcpOverIpv6 = 0x21;
constexpr char kTypeAuthority = 0x02, kTypeSsl = 0x20, kSubtypeSslVersion = 0x21, kSubtypeSslCipher = 0x23;
constexpr char kClientSsl = 0x01;
constexpr absl::string_view kNoCertificateVerified("\0\0\0\1", 4);  // "verify": not zero, as none was asked for

std::string BigEndian16(size_t number) {
  return {static_cast<char>(number >> 8 & 0xff), static_cast<char>(number & 0xff)};
}

std::string Tlv(char type, absl::string_view value) {
  return absl::StrCat(std::string(1, type), BigEndian16(value.size()), value);
}

absl::string_view Octets(const ipc::Address& address) {
  return {reinterpret_cast<const char*>(address.octets), address.version == 4 ? 4U : 16U};
}

std::string Version1(const ipc::Address& client, const ipc::Address& server) {
  if (client.version != server.version) return kVersion1Unknown;
  return absl::StrCat("PROXY TCP", client.version, " ", ipc::ToText(client), " ", ipc::ToText(server), " ", client.port,
                      " ", server.port, "\r\n");
}

std::string Version2(const ipc::Address& client, const ipc::Address& server, const ipc::TlsFacts& facts) {
  char family = kUnspecified;
  std::string body;
  if (client.version == server.version) {
    family = client.version == 4 ? kTcpOverIpv4 : kTcpOverIpv6;
    body = absl::StrCat(Octets(client), Octets(server), BigEndian16(client.port), BigEndian16(server.port));
  }
  if (facts.sni.octets != 0) body += Tlv(kTypeAuthority, facts.sni.view());
  if (facts.version.octets != 0)
    body += Tlv(kTypeSsl, absl::StrCat(std::string(1, kClientSsl), kNoCertificateVerified,
                                       Tlv(kSubtypeSslVersion, facts.version.view()),
                                       Tlv(kSubtypeSslCipher, facts.cipher.view())));
  return absl::StrCat(absl::string_view(kSignature, sizeof kSignature), std::string{kVersion2Proxy, family},
                      BigEndian16(body.size()), body);
}

}  // namespace

std::string ProxyHeader(int version, const ipc::Address& client, const ipc::Address& server,
                        const ipc::TlsFacts& facts) {
  return version == 1 ? Version1(client, server) : Version2(client, server, facts);
}

std::string ProxyHeaderForNobody(int version) {
  if (version == 1) return kVersion1Unknown;
  return absl::StrCat(absl::string_view(kSignature, sizeof kSignature), std::string{kVersion2Local, kUnspecified},
                      BigEndian16(0));
}

}  // namespace postern::backendlauncher
