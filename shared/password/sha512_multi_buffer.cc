// Intel's multi-buffer library: jobs that wait until its lanes are full, and then go through SHA-512 together. It is
// loaded at run time, so that a host may do without it. Each completed job is submitted again with the next round of
// its hash, straight from and into the memory of that hash.
#include "shared/password/sha512_crypt.h"

#ifdef VMAILKIT_IPSEC_MB

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <cassert>

#define NO_COMPAT_IMB_API_053  // not its old names, such as ENCRYPT
#include <intel-ipsec-mb.h>

namespace vmail::password {
namespace {

// What is called by name; all else it calls itself, through its manager.
struct Library {
  decltype(&imb_get_version) version = nullptr;
  decltype(&imb_get_mb_mgr_size) manager_size = nullptr;
  decltype(&imb_set_pointers_mb_mgr) set_pointers = nullptr;
  decltype(&init_mb_mgr_auto) init = nullptr;
};

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

// Null where it is not there, or is of another version than the header that we were built with: the layout of its
// manager and jobs would be another.
const Library* library() {
  static const Library* const loaded = []() -> const Library* {
    const std::string name = "libIPSec_MB.so." + std::to_string(IMB_VERSION_NUM >> 16);
    void* const handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return nullptr;
    static Library found;
    const bool whole =
        find(handle, "imb_get_version", found.version) && find(handle, "imb_get_mb_mgr_size", found.manager_size) &&
        find(handle, "imb_set_pointers_mb_mgr", found.set_pointers) && find(handle, "init_mb_mgr_auto", found.init);
    return whole && found.version() >> 8 == IMB_VERSION_NUM >> 8 ? &found : nullptr;
  }();
  return loaded;
}

class MultiBufferEngine final : public Sha512Engine {
 public:
  static std::unique_ptr<Sha512Engine> make() {
    if (library() == nullptr) return nullptr;
    std::unique_ptr<MultiBufferEngine> engine(new MultiBufferEngine);
    return engine->width_ == 0 ? nullptr : std::move(engine);
  }
  ~MultiBufferEngine() override {
    explicit_bzero(memory_, size_);
    free(memory_);
  }

  std::string name() const override {
    return "the multi-buffer library with " + std::string(width_ == 8 ? "AVX-512" : "AVX2");
  }
  std::size_t width() const override { return width_; }

  void advance(std::span<Sha512Crypt* const> hashes, std::uint64_t rounds) override {
    assert(hashes.size() <= width_);
    std::array<std::uint64_t, kWidest> left;
    left.fill(rounds);
    std::array<std::size_t, kWidest> ready;
    std::size_t count = 0, out = 0;
    for (std::size_t i = hashes.size(); i > 0; --i) ready[count++] = i - 1;
    while (count > 0 || out > 0) {
      IMB_JOB* done = nullptr;
      if (count > 0) {
        const std::size_t lane = ready[--count];
        ++out;
        done = submit(*hashes[lane], lane);
      } else {
        done = IMB_FLUSH_JOB(manager_);
      }
      for (; done != nullptr; done = IMB_GET_COMPLETED_JOB(manager_)) {
        --out;
        const auto lane = reinterpret_cast<std::uintptr_t>(done->user_data);
        hashes[lane]->next();
        if (--left[lane] > 0 && !hashes[lane]->done()) ready[count++] = lane;
      }
    }
  }

  void forget() override {
    explicit_bzero(memory_, size_);
    set_up();
  }

 private:
  static constexpr std::size_t kWidest = 8;

  MultiBufferEngine()
      : size_((library()->manager_size() + 63) / 64 * 64),
        memory_(static_cast<unsigned char*>(aligned_alloc(64, size_))) {
    if (memory_ == nullptr) throw std::bad_alloc();
    set_up();
  }
  MultiBufferEngine(const MultiBufferEngine&) = delete;
  MultiBufferEngine& operator=(const MultiBufferEngine&) = delete;

  void set_up() {
    width_ = 0;
    manager_ = library()->set_pointers(memory_, 0, 1);
    if (manager_ == nullptr) return;
    IMB_ARCH arch = IMB_ARCH_NONE;
    library()->init(manager_, &arch);
    if (arch == IMB_ARCH_AVX512) width_ = 8;
    if (arch == IMB_ARCH_AVX2) width_ = 4;
  }

  IMB_JOB* submit(Sha512Crypt& hash, std::size_t lane) {
    const auto message = hash.message();
    IMB_JOB* const job = IMB_GET_NEXT_JOB(manager_);
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_512;
    job->src = message.bytes;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = message.size;
    job->auth_tag_output = hash.digest();
    job->auth_tag_output_len_in_bytes = 64;
    job->user_data = reinterpret_cast<void*>(lane);
    return IMB_SUBMIT_JOB_NOCHECK(manager_);
  }

  const std::size_t size_;
  unsigned char* const memory_;
  IMB_MGR* manager_ = nullptr;
  std::size_t width_ = 0;
};

}  // namespace

std::unique_ptr<Sha512Engine> make_multi_buffer_engine() {
  return MultiBufferEngine::make();
}

}  // namespace vmail::password

#else

namespace vmail::password {

std::unique_ptr<Sha512Engine> make_multi_buffer_engine() {
  return nullptr;
}

}  // namespace vmail::password

#endif
