"""What stands before the kernels of every program: functions of CUDA C that they call."""

PRELUDE = """
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif
__device__ long long row(long long i, long long n) { return i < 0 ? i + n : i; }
template <typename T> __device__ T larger(T x, T y) { return x > y || x != x ? x : y; }
template <typename T> __device__ T smaller(T x, T y) { return x < y || x != x ? x : y; }
template <typename T> __device__ T sign(T x) { return x != x ? x : T((x > 0) - (x < 0)); }
template <typename T> __device__ T log_add_exp(T x, T y) {
  if (x == y) return x + log(2.0);  // of a double, as in CuPy
  const T d = x - y;
  return d > 0 ? x + log1p(exp(-d)) : d <= 0 ? y + log1p(exp(d)) : d;
}
template <int N, int STRIDE, typename T, typename F>
__device__ T block_reduce(T mine, void* shared, F combine) {
  T* of = (T*)shared;  // each of N threads, STRIDE apart, gets the result of all N
  const int at = threadIdx.x, rank = at / STRIDE % N;
  of[at] = mine;
  __syncthreads();
  for (int d = N / 2; d > 0; d /= 2) {
    if (rank < d) of[at] = combine(of[at], of[at + d * STRIDE]);
    __syncthreads();
  }
  mine = of[at - rank * STRIDE];
  __syncthreads();
  return mine;
}
"""
