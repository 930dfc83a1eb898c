#include <stdio.h>

int
main(void)
{
	return puts("binary 1") < 0;
}
