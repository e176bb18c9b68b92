"""Any generator drawn towards what a critic scores higher, by the critic's gradient."""
