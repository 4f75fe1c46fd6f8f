// Attention of question rows over a document and themselves, forth and back, in fp32.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/model/answer_gradient.h"
#include "runtime/model/buffer.h"
#include "runtime/model/document_heads.h"
#include "runtime/model/fp32_product.h"
#include "tca/thread_pool.h"

namespace tca::runtime {

/// All of [R, heads or kv_heads, d].
struct AttentionForth {
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  float* out = nullptr;  // [R, Hq, d]
  float* lse = nullptr;  // [R, Hq]
};
struct AttentionBack {
  const float *q = nullptr, *k = nullptr, *v = nullptr, *out = nullptr, *lse = nullptr;
  const float* d_out = nullptr;  // gradient with respect to out
  float *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;
  float* reading = nullptr;  // [R, Hq] or none: see Readings
  std::int64_t sinks = 0;
};

class QuestionAttention {
 public:
  QuestionAttention(const HeadShape& shape, ThreadPool& pool);
  void forth(const DocumentHeads& document, const QuestionRows& rows, const AttentionForth& params);
  void back(const DocumentHeads& document, const QuestionRows& rows, const AttentionBack& params);

 private:
  struct Worker {
    Buffer x, d_out;          // [block * group, d] of one head
    Buffer out;               // the same: sums of what is computed
    Buffer scores, d_scores;  // [block * group, tile]
    Buffer turned;            // [tile, block * group]
    Buffer k, v;              // [question's rows, d]
    std::vector<float> most;  // [block * group]: largest score so far, or log-sum-exp
    std::vector<double> sum;  // [block * group]: of exponentials, or of probability * gradient
    fp32::Scratch product;
  };
  struct Rows;
  struct Keys;
  static Keys document_keys(const DocumentHeads& document, const Rows& rows);
  template <class Task>
  void for_blocks(const QuestionRows& rows, const Task& task);
  template <class Task>
  void for_questions(const QuestionRows& rows, const float* k, const float* v, const Task& task);
  void start(const Rows& rows, const float* q, Worker& worker) const;
  void forth(const Rows& rows, const Keys& keys, Worker& worker) const;
  void add_reading(const Rows& rows, const Keys& tile, const AttentionBack& params, const Worker& worker) const;
  void start_back(const Rows& rows, const AttentionBack& params, Worker& worker) const;
  void back(const Rows& rows, const Keys& keys, const AttentionBack& params, Worker& worker) const;
  void back_to_keys(const Rows& rows, const Keys& tile, const AttentionBack& params, Worker& worker) const;

  HeadShape shape_;
  float scale_;
  ThreadPool* pool_;
  std::vector<Worker> workers_;
  std::vector<float> most_;  // [R, Hq] between document and question
  std::vector<double> sum_;
};

}  // namespace tca::runtime
