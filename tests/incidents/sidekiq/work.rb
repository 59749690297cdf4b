# Five jobs. Each reports to the test as it begins, works for as long as the
# test says, and notes in Redis that it has finished. Sidekiq keeps the rest of
# the books: a job that it has to give up goes back to the queue.

require "socket"

class Work
  include Sidekiq::Worker

  def perform(id)
    sleep UNIXSocket.open("gate", &:gets).to_f
    Sidekiq.redis { |redis| redis.call(["sadd", "finished", id]) }
  end
end

Redis.silence_deprecations = true
Sidekiq.options.merge!(concurrency: 5, timeout: 5)

Sidekiq.configure_server do |config|
  config.redis = { url: "unix://#{__dir__}/redis" }
  config.on(:startup) { 1.upto(5) { |id| Work.perform_async(id) } }
end
