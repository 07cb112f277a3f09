-- The operator says what a model costs: here $1.25, $0.125 and $10 a million tokens, in nano-dollars.
select model, variant, currency from baseledger.set_price('openai/gpt-5',
  '{"input": 1250000000, "cache_read": 125000000, "output": 10000000000}', p_max_output => 128000);

-- The agent knows no price. Before the call, it says the most that the call may use; after it, what it used.
select event, amount, available from baseledger.reserve('acme', null, 'call-8',
  p_usage => '{"model": "openai/gpt-5", "input": 1200, "output": 4000}');
select event, amount, available from baseledger.settle('acme', 'call-8', null, 'call-8-cost',
  p_usage => '{"input": 200, "cache_read": 1000, "output": 512}');

-- What has no price is refused, so it is never free by mistake.
select event from baseledger.charge('acme', null, 'call-9',
  p_usage => '{"model": "openai/gpt-5", "input": 1200, "output_audio": 90}');

-- What would it cost, and how much output do 2 cents pay for?
select amount, currency from baseledger.quote('{"model": "openai/gpt-5", "input": 1200, "output": 512}');
select baseledger.affordable('{"model": "openai/gpt-5", "input": 1200}', 20000000) as output;
