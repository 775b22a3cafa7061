// What the tests of this directory share: certificates of today.
#ifndef POSTERN_TLSWORKER_TEST_CREDENTIALS_H_
#define POSTERN_TLSWORKER_TEST_CREDENTIALS_H_

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"

namespace postern::tlsworker {

inline base::UniqueFd FileWith(const std::string& text) {
  base::UniqueFd file(memfd_create("pem", MFD_CLOEXEC));
  EXPECT_EQ(write(file.get(), text.data(), text.size()), ssize_t(text.size()));
  EXPECT_EQ(lseek(file.get(), 0, SEEK_SET), 0);
  return file;
}

inline std::string Pem(BIO* bio) {
  char* data;
  const long octets = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(octets));
  BIO_free(bio);
  return text;
}

// A self-signed certificate and its key, which is "RSA", "ED25519" or the name of a curve.
struct Credentials {
  // `names` as in openssl.cnf: "DNS:a,IP:127.0.0.1"; "" for no subjectAltName.
  explicit Credentials(const std::string& type = "P-256", const char* common_name = "localhost",
                       const std::string& names = "") {
    const bool edwards = type == "ED25519";
    EVP_PKEY* pkey = edwards         ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                     : type == "RSA" ? EVP_RSA_gen(2048)
                                     : EVP_EC_gen(type.c_str());
    X509* x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, pkey);
    X509_NAME* name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(common_name), -1, -1,
                               0);
    X509_set_issuer_name(x509, name);
    if (!names.empty()) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
      X509_add_ext(x509, extension, -1);
      X509_EXTENSION_free(extension);
    }
    X509_sign(x509, pkey, edwards ? nullptr : EVP_sha256());
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(out, x509);
    certificate = Pem(out);
    out = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(out, pkey, nullptr, nullptr, 0, nullptr, nullptr);
    key = Pem(out);
    out = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(out, pkey, EVP_aes_128_cbc(), nullptr, 0, nullptr, const_cast<char*>("secret"));
    encrypted_key = Pem(out);
    X509_free(x509);
    EVP_PKEY_free(pkey);
  }
  std::string certificate, key, encrypted_key;
};

}  // namespace postern::tlsworker

#endif  // POSTERN_TLSWORKER_TEST_CREDENTIALS_H_
