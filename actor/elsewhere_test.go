package actor_test

import (

)

