# shellcheck shell=bash
# The environment that the stages run in. What your site needs besides (modules, proxies, the
# cache folder of the model hub) goes here.
# shellcheck source=../../utils/environment.sh
. ../../utils/environment.sh
