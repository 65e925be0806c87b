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
template <typename T> __device__ long long at_most(const T* x, long long n, T v) {  // of sorted x
  long long low = 0, high = n;
  while (low < high) {
    const long long middle = (low + high) / 2;
    if (x[middle] <= v) low = middle + 1; else high = middle;
  }
  return low;
}
template <typename T> __device__ long long less_than(const T* x, long long n, T v) {  // of sorted x
  long long low = 0, high = n;
  while (low < high) {
    const long long middle = (low + high) / 2;
    if (x[middle] < v) low = middle + 1; else high = middle;
  }
  return low;
}
template <typename T> __device__ long long nth(const T* x, long long n, long long k) {
  T least = x[0], most = x[0];  // the k-th value lies between them; of equal ones the first come first
  for (long long i = 1; i < n; i++) { least = smaller(least, x[i]); most = larger(most, x[i]); }
  while (least < most) {
    const T middle = least + (most - least) / 2;
    long long count = 0;
    for (long long i = 0; i < n; i++) count += x[i] <= middle;
    if (count > k) most = middle; else least = middle + 1;
  }
  for (long long i = 0; i < n; i++) k -= x[i] < least;
  for (long long i = 0; i < n; i++) if (x[i] == least && k-- == 0) return i;
  return 0;
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
