#include "runtime/tokenizer/regex.h"

#include <algorithm>
#include <ctime>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/check.h"
#include "runtime/tokenizer/regex_syntax.h"
#include "runtime/tokenizer/unicode.h"

namespace tca::runtime {
namespace {

constexpr std::size_t kMaxPatternBytes = 16384;

template <auto free_function>
struct Free {
  template <class T>
  void operator()(T* object) const {
    free_function(object);
  }
};
using CompileContext = std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, Free<pcre2_code_free>> compiled;
  bool has_jit = false;
};

// One pass over one text. A match may take a number of steps linear in the text (greedy runs backtrack that far);
// all matches together may take processor time far above what any sensible expression needs (about 0.1 s per MB).
class Regex::Search {
 public:
  Search(const Regex& regex, std::size_t text_bytes)
      : code_(regex.code_.get()),
        where_(regex.where_),
        text_bytes_(text_bytes),
        context_(pcre2_match_context_create(nullptr)),
        data_(pcre2_match_data_create(1, nullptr)) {
    if (!context_ || !data_) throw std::bad_alloc();
    const std::size_t limit = 1000000 + 8 * text_bytes;
    pcre2_set_match_limit(context_.get(), static_cast<std::uint32_t>(std::min<std::size_t>(limit, UINT32_MAX)));
    constexpr std::uint32_t kMaxHeapKiB = 512 * 1024;
    pcre2_set_heap_limit(context_.get(), kMaxHeapKiB);
  }

  bool find(std::string_view text, std::size_t from, Range& match) {
    check_time();
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    const pcre2_code* const code = code_->compiled.get();
    int result = PCRE2_ERROR_JIT_STACKLIMIT;
    if (code_->has_jit) result = pcre2_jit_match(code, subject, text.size(), from, 0, data_.get(), context_.get());
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter keeps its stack on the heap
      result =
          pcre2_match(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data_.get(), context_.get());
    }
    if (result == PCRE2_ERROR_NOMATCH) return false;
    if (result < 0) too_slow();  // a limit
    const std::size_t* ends = pcre2_get_ovector_pointer(data_.get());
    match = {ends[0], ends[1]};
    return true;
  }

  void find_all(std::string_view text, std::vector<Range>& matches) {
    std::size_t position = 0;
    Range match{};
    while (position <= text.size() && find(text, position, match)) {
      const bool repeats = match.size() == 0 && !matches.empty() && matches.back().end == match.end;
      if (repeats) {
        if (position == text.size()) break;
        next_code_point(text, position);
        continue;
      }
      matches.push_back(match);
      position = match.end;
    }
  }

 private:
  void check_time() {
    constexpr std::size_t kSearchesPerClockReading = 256;
    constexpr double kMaxSeconds = 5;
    constexpr double kMaxSecondsPerByte = 20e-6;
    if (count_++ % kSearchesPerClockReading != 0 || count_ == 1) return;
    const double now = thread_cpu_seconds();
    if (start_seconds_ == 0) start_seconds_ = now;
    if (now - start_seconds_ > kMaxSeconds + kMaxSecondsPerByte * static_cast<double>(text_bytes_)) too_slow();
  }
  [[noreturn]] void too_slow() const {
    fail(ErrorCategory::kUnsupported,
         text(where_, ": the regular expression needs too many steps on this text of ", text_bytes_, " bytes"));
  }

  const Code* code_;
  const std::string& where_;
  std::size_t text_bytes_;
  MatchContext context_;
  MatchData data_;
  double start_seconds_ = 0;  // of the first reading
  std::size_t count_ = 0;
};

Regex::Searcher::Searcher(const Regex& regex, std::size_t text_bytes)
    : search_(std::make_unique<Search>(regex, text_bytes)) {}
Regex::Searcher::~Searcher() = default;

const std::vector<Range>& Regex::Searcher::find_all(std::string_view piece) {
  matches_.clear();
  search_->find_all(piece, matches_);
  return matches_;
}

Regex::Regex(const std::string& pattern, std::string where) : where_(std::move(where)) {
  if (pattern.size() > kMaxPatternBytes) {
    fail(ErrorCategory::kUnsupported,
         text(where_, ": the regular expression is longer than ", kMaxPatternBytes, " bytes"));
  }
  const CompileContext context(pcre2_compile_context_create(nullptr));
  if (!context) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  std::size_t offset = 0;
  auto code = std::make_shared<Code>();
  code->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK, &error, &offset,
                                     context.get()));
  if (!code->compiled) {
    unsigned char message[256] = "";
    pcre2_get_error_message(error, message, sizeof(message));
    fail(ErrorCategory::kBadFile, text(where_, ": the regular expression is broken: ",
                                       reinterpret_cast<const char*>(message), " (byte ", offset, ")"));
  }
  code->has_jit = pcre2_jit_compile(code->compiled.get(), PCRE2_JIT_COMPLETE) == 0;
  code_ = std::move(code);
}

Regex Regex::parse(std::string_view pattern, const std::string& where) {
  return Regex(to_pcre2_syntax(pattern, where), where);
}

Regex Regex::literal(std::string_view text) { return Regex(quote_for_pcre2(text), "literal"); }

Regex Regex::word_character() {
  return Regex(text("[", newer_members("L"), newer_members("M"), newer_members("Nd"),
                    "\\x{200C}\\x{200D}\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]"),
               "word character");
}

std::vector<Range> Regex::find_all(std::string_view text) const {
  std::vector<Range> matches;
  Search(*this, text.size()).find_all(text, matches);
  return matches;
}

bool Regex::matches_somewhere(std::string_view text) const {
  Range match{};
  return Search(*this, text.size()).find(text, 0, match);
}

}  // namespace tca::runtime
