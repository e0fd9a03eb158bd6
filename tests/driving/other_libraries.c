// Functions that libraries other than the first have.
#include <math.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) { __int128 n = (__int128)argc << 70; double x = frexp(argc * 9.5, &argc); unsigned __int128 q = n / 7;
  _Complex double c = x; c *= c; _Float128 f = x; f *= 3; printf("%.3f %d %d %.2f %.2f %d\n", x, argc, (int)(q >> 64), __real__ c, (double)f, __builtin_popcountll(q)); return isnan(x); }
