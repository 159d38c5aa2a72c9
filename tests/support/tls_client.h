// A certificate for tests, and a client's end of TLS over bytes.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace vmail::test {

// A self-signed one for "mail.test" and its key, as PEM files of that name in `folder`.
inline void make_certificate(const TempDir& folder, const std::string& certificate, const std::string& key) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pair(::EVP_EC_gen("P-256"), ::EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> made(::X509_new(), ::X509_free);
  REQUIRE(pair != nullptr);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(made.get()), 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(made.get()), -3600);
  ::X509_gmtime_adj(::X509_getm_notAfter(made.get()), 3600);
  ::X509_set_pubkey(made.get(), pair.get());
  X509_NAME* const name = ::X509_get_subject_name(made.get());
  ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("mail.test"), -1, -1,
                               0);
  ::X509_set_issuer_name(made.get(), name);
  REQUIRE(::X509_sign(made.get(), pair.get(), ::EVP_sha256()) > 0);

  const auto write = [&](const std::string& file, auto how) {
    FILE* const out = std::fopen(folder.file(file).c_str(), "w");
    REQUIRE(out != nullptr);
    const int written = how(out);
    REQUIRE(std::fclose(out) == 0);
    REQUIRE(written == 1);
  };
  write(certificate, [&](FILE* out) { return ::PEM_write_X509(out, made.get()); });
  write(key, [&](FILE* out) { return ::PEM_write_PrivateKey(out, pair.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  ::chmod(folder.file(key).c_str(), 0600);
}

class TlsClient {
 public:
  // Takes bytes to the server, and gives back what it answers.
  using Carry = std::function<std::string(const std::string&)>;

  explicit TlsClient(Carry carry)
      : carry_(std::move(carry)),
        context_(::SSL_CTX_new(::TLS_client_method()), ::SSL_CTX_free),
        ssl_(::SSL_new(context_.get()), ::SSL_free),
        in_(::BIO_new(::BIO_s_mem())),
        out_(::BIO_new(::BIO_s_mem())) {
    ::SSL_set_bio(ssl_.get(), in_, out_);
    ::SSL_set_connect_state(ssl_.get());
  }

  bool handshake() {
    for (int turn = 0; turn < 10; ++turn) {
      const bool done = ::SSL_do_handshake(ssl_.get()) == 1;
      carry();
      if (done) return true;
    }
    return false;
  }
  // What is said in answer.
  std::string say(const std::string& plain) {
    if (!plain.empty()) ::SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size()));
    carry();
    std::string heard(1 << 20, '\0');
    std::size_t size = 0;
    for (std::size_t got; ::SSL_read_ex(ssl_.get(), heard.data() + size, heard.size() - size, &got) == 1;) size += got;
    heard.resize(size);
    return heard;
  }
  // Our end, by close_notify.
  void end() {
    ::SSL_shutdown(ssl_.get());
    carry();
  }
  // Whether the server has said that nothing more comes.
  bool is_ended() const { return (::SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

 private:
  void carry() {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out_, &bytes);
    const std::string sent(bytes, static_cast<std::size_t>(size));
    (void)BIO_reset(out_);
    const std::string back = carry_(sent);
    if (!back.empty()) ::BIO_write(in_, back.data(), static_cast<int>(back.size()));
  }

  Carry carry_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  BIO *in_, *out_;  // both belong to ssl_
};

}  // namespace vmail::test
